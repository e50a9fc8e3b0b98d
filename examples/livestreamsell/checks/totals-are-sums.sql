-- severity: critical
-- description: What a buyer pays is what the lines of the order say; an order without any is none.
SELECT orders.id
FROM orders
LEFT JOIN order_lines ON order_lines.order_id = orders.id
GROUP BY orders.id
HAVING orders.total_cents IS DISTINCT FROM sum(order_lines.cents)
