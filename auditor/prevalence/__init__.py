"""How often a behaviour appears: estimates with intervals, or counts where the rule is exact."""
