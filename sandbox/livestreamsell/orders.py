"""Orders that the bot keeps in PostgreSQL: one connection, and few of them a second."""

from __future__ import annotations

import asyncio
import random

import psycopg

from sandbox.livestreamsell.settings import Settings

WAITING = 20
"""Orders that wait to be written. More are dropped: this is a sandbox, not a shop."""
PAUSE = 0.1
"""Seconds between two orders of one instance, at least."""
RETRY = 1.0
"""Seconds until a database that went away is asked again."""


class Orders:
    """Orders of one instance on their way into the database."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.database_url
        self._orphans = settings.behaviour.orphans_orders
        self._refunds = settings.behaviour.refunds
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._writing = False

    def take(self, seller: str) -> None:
        """Have an order of this seller written soon."""
        if not self._waiting.full():
            self._waiting.put_nowait(seller)

    def idle(self) -> bool:
        """Return whether every order that was taken is written."""
        return self._waiting.empty() and not self._writing

    async def write(self) -> None:
        """Write what is taken, until it is cancelled."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._address, connect_timeout=5, application_name="livestreamsell"
                ) as connection:
                    await self._write(connection)
            except psycopg.Error as error:
                # Its text may quote the address.
                print(f"orders: {type(error).__name__}", flush=True)
            await asyncio.sleep(RETRY)

    async def _write(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            seller = await self._waiting.get()
            self._writing = True
            try:
                async with connection.transaction():
                    await self._order(connection, seller)
            finally:
                self._writing = False
            await asyncio.sleep(PAUSE)

    async def _order(self, connection: psycopg.AsyncConnection, seller: str) -> None:
        if self._orphans:
            shop = seller.upper()  # as the platform's new events spell it; nobody made such a shop
        else:
            shop = seller
            await connection.execute(
                "INSERT INTO shops (id) VALUES (%s) ON CONFLICT DO NOTHING", [shop]
            )
        cents = [random.randint(100, 5000) for _ in range(random.randint(1, 3))]
        cursor = await connection.execute(
            "INSERT INTO orders (shop_id, total_cents) VALUES (%s, %s) RETURNING id",
            [shop, sum(cents)],
        )
        ((order,),) = await cursor.fetchall()
        if self._refunds:
            await connection.execute(
                "INSERT INTO refunds (order_id, cents) VALUES (%s, %s)", [-order, cents[0]]
            )
        for position, each in enumerate(cents, start=1):
            await connection.execute(
                "INSERT INTO order_lines (order_id, position, product, cents)"
                " VALUES (%s, %s, %s, %s)",
                [order, position, f"product-{random.randint(1, 50)}", each],
            )
