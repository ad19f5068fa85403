-- In how many trials did each model show each behaviour? Rows without k and n are left out.
-- param study = %: study, or a LIKE pattern
SELECT study, model, behaviour, condition, sum(k)::BIGINT AS k, sum(n)::BIGINT AS n,
       count(DISTINCT prompt) AS prompts
FROM observations WHERE k IS NOT NULL AND n IS NOT NULL AND study LIKE $study
GROUP BY ALL ORDER BY study, behaviour, model, condition
