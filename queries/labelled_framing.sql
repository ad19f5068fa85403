-- How do readers agree that a behaviour is told? Counts of labels, not rates: the sample is not uniform.
-- param behaviour = deception: library id
SELECT stance, mode, actor, beneficiary, outcome, count(*) AS labels
FROM labels_resolved WHERE behaviour = $behaviour AND present
GROUP BY ALL ORDER BY labels DESC, stance, mode, actor, beneficiary, outcome
