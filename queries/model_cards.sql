-- How well does each detector rank the spans that were read, and how many planted texts did it retrieve?
-- param behaviour = %: library id, or a LIKE pattern
SELECT stage, name AS behaviour, max(positives) FILTER (metric = 'auc') AS positives, max(labels) FILTER (metric = 'auc') AS labels,
       any_value(estimate) FILTER (metric = 'auc') AS auc, any_value(low) FILTER (metric = 'auc') AS auc_low, any_value(high) FILTER (metric = 'auc') AS auc_high,
       any_value(estimate) FILTER (metric = 'average_precision') AS average_precision,
       any_value(low) FILTER (metric = 'average_precision') AS ap_low,
       any_value(high) FILTER (metric = 'average_precision') AS ap_high,
       sum(positives) FILTER (metric = 'spike_in_recall')::BIGINT AS retrieved, sum(labels) FILTER (metric = 'spike_in_recall')::BIGINT AS planted
FROM cards WHERE facet IS NULL AND name LIKE $behaviour
GROUP BY stage, name ORDER BY stage, name
