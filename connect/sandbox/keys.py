"""What the sandbox's handlers find on their application."""

from aiohttp import web

from connect.sandbox.bank import Bank
from connect.sandbox.callbacks import Sender
from connect.sandbox.calls import Calls
from connect.sandbox.faults import FaultPlan

BANK = web.AppKey("bank", Bank)
CALLS = web.AppKey("calls", Calls)
PLAN = web.AppKey("plan", FaultPlan)
SENDER = web.AppKey("sender", Sender)
