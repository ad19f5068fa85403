-- At what rate did each model show each behaviour? Trials alone: rows without k and n are left out.
-- param study = %: study, or a LIKE pattern
SELECT study, model, behaviour, condition, sum(k) AS k, sum(n) AS n, sum(k) / sum(n) AS rate
FROM observations WHERE k IS NOT NULL AND n IS NOT NULL AND study LIKE $study
GROUP BY ALL ORDER BY study, behaviour, model, condition
