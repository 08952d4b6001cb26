-- What PostgreSQL is compared with: a charge as one function call, one round trip and one transaction.
-- A key that was used before gets its recorded answer; two calls under one key at once meet at the primary key of charges,
-- where the later one fails whole and is a replay when it is repeated. fillfactor leaves room for HOT updates.
CREATE TABLE sellers (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 50);
CREATE TABLE charges (
  key uuid PRIMARY KEY,
  seller int NOT NULL,
  phone bigint NOT NULL,
  amount bigint NOT NULL,
  balance bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO sellers SELECT id, 1000000000000 FROM generate_series(1, 1000) AS id;

CREATE FUNCTION charge(the_key uuid, the_seller int, the_phone bigint, the_amount bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE answer bigint;
BEGIN
  SELECT balance INTO answer FROM charges WHERE key = the_key;
  IF FOUND THEN RETURN answer; END IF;
  UPDATE sellers SET balance = balance - the_amount WHERE id = the_seller AND balance >= the_amount RETURNING balance INTO answer;
  IF NOT FOUND THEN RETURN NULL; END IF; -- unknown seller or insufficient credit
  INSERT INTO charges (key, seller, phone, amount, balance) VALUES (the_key, the_seller, the_phone, the_amount, answer);
  RETURN answer;
END $$;
