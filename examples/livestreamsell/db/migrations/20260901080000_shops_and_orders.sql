-- migrate:up
CREATE TABLE shops (
  id text PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- No foreign key: shops come from the platform's own events, sometimes after their first order.
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  shop_id text NOT NULL,
  total_cents integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE order_lines (
  order_id bigint NOT NULL REFERENCES orders (id),
  position smallint NOT NULL,
  product text NOT NULL,
  cents integer NOT NULL,
  PRIMARY KEY (order_id, position)
);

-- migrate:down
DROP TABLE order_lines;
DROP TABLE orders;
DROP TABLE shops;
