"""The screen: one page of tabs over a `Studio`. Nothing outside this package imports gradio."""
