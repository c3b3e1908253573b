"""Pure decisions: readings in, baselines, waste and meter totals out."""
