"""The report: chapters, figures, tables and players, and the pages made of them."""
