"""The screen: one page of five tabs over a `Studio`. Nothing outside this package imports gradio."""
