from spinloom.errors import UserError as UserError
from spinloom_api import card as card
from spinloom_api import problem as problem
from spinloom_api import run as run
from spinloom_api import study as study
from spinloom_api import train as train
