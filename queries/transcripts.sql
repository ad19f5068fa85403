-- Which transcripts were observed, and what became of each run?
SELECT study, id, model, condition, state, behaviours FROM transcripts ORDER BY study, id
