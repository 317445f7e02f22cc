"""Programs that show what the portal promises, with figures: `./dev prove codes`. SHORT=1: in under a minute."""
