"""How a passage tells a behaviour: stance, mode, actor, beneficiary, outcome."""
