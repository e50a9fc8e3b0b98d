-- severity: critical
-- description: A buyer is never owed money by an order.
SELECT id
FROM orders
WHERE total_cents < 0
