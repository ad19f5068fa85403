-- What has been measured? Rates per million passages with 95 % limits, overall rows.
-- param corpus = %: corpus, or a LIKE pattern
SELECT behaviour, corpus, estimate, low, high, frame_size, labels, positives, method, calibrated
FROM prevalence WHERE facet IS NULL AND corpus LIKE $corpus
GROUP BY ALL ORDER BY estimate DESC, behaviour
