"""Programs that show what the portal promises, with figures: `./dev prove codes`. SHORT=1 runs them in under a minute."""
