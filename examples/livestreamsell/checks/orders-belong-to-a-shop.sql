-- severity: critical
-- description: An order whose shop is not there can be neither packed nor paid out.
SELECT orders.id
FROM orders
LEFT JOIN shops ON shops.id = orders.shop_id
WHERE shops.id IS NULL
