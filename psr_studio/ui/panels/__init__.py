"""Parts of tabs: panels, pickers, controls, the bar above the tabs."""
