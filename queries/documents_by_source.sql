-- How many documents, passages and words does each source hold?
SELECT corpus, coalesce(source, '(none)') AS source, count(DISTINCT d.document_id) AS documents,
       count(p.passage_id) AS passages, sum(p.n_words) AS words
FROM documents d LEFT JOIN passages p USING (document_id)
GROUP BY ALL ORDER BY passages DESC, source
