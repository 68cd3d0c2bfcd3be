"""Colours and type of the page: Gradio's own variables and its bundled fonts, nothing fetched."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

STATIC = Path(__file__).parent / "static"
# Edges of fields, boxes and rings: between two slates, for 3:1 on every ground they stand on.
EDGE, EDGE_DARK = "#7f8da3", "#6b7b93"


def studio_theme() -> gr.themes.Base:
    """The theme: slate greys and one indigo accent; compact, since the Curate tab needs the room."""
    return gr.themes.Default(
        primary_hue=colors.indigo,
        secondary_hue=colors.indigo,
        neutral_hue=colors.slate,
        spacing_size=sizes.spacing_sm,
        radius_size=sizes.radius_sm,
        text_size=sizes.text_sm,
        font=[
            fonts.LocalFont("IBM Plex Sans", weights=(400, 700)),
            "ui-sans-serif",
            "system-ui",
            "sans-serif",
        ],
        font_mono=[fonts.LocalFont("IBM Plex Mono"), "ui-monospace", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_title_text_weight="600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        input_border_color=EDGE,
        input_border_color_dark=EDGE_DARK,
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400",
        checkbox_border_color=EDGE,
        checkbox_border_color_dark=EDGE_DARK,
        link_text_color_dark="*primary_400",
        link_text_color_hover_dark="*primary_300",
        link_text_color_active_dark="*primary_400",
        link_text_color_visited_dark="*primary_400",
        color_accent="*primary_600",
        color_accent_soft="*primary_50",
        button_large_text_size="*text_md",
        button_large_padding="*spacing_lg *spacing_xl",
        button_small_text_size="*text_sm",
        button_small_padding="*spacing_sm *spacing_lg",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
    )


def static_text(name: str) -> str:
    """The text of a script or style sheet that ships with the page."""
    return (STATIC / name).read_text(encoding="utf-8")
