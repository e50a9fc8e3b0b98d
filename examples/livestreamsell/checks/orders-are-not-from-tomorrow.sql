-- severity: warn
-- timeout: 2s
-- description: A clock somewhere is wrong. Nobody loses money by it.
SELECT id
FROM orders
WHERE created_at > now() + interval '5 minutes'
