-- Which passages occur most often, and in which sources?
SELECT u.representative, any_value(u.multiplicity) AS copies, string_agg(DISTINCT p.source, ', ' ORDER BY p.source) AS sources,
       left(any_value(p.text) FILTER (p.passage_id = u.representative), 120) AS beginning
FROM duplicates u JOIN passages_full p USING (passage_id)
GROUP BY u.representative ORDER BY copies DESC, u.representative LIMIT 50
