"""What tests of several rooms share: servers, clocks, strategies."""
