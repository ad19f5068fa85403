-- How do the positives of each behaviour divide over a facet? Shares with 95 % limits that hold for all its values at once.
-- param facet = stance: stance, mode, or another facet that was measured
SELECT behaviour, corpus, label_set, value, share, share_low, share_high, positives
FROM prevalence WHERE facet = $facet AND share IS NOT NULL
GROUP BY ALL ORDER BY behaviour, corpus, label_set, share DESC, value
