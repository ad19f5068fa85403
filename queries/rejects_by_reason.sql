-- What was refused, where, and why?
SELECT stage, corpus, file, regexp_replace(reason, '[0-9]+', 'N', 'g') AS reason, count(*) AS records
FROM rejects GROUP BY ALL ORDER BY records DESC, file, reason
