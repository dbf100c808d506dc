"""How the plots of the gallery look."""


def house_style(gallery_conf, script):
    """Reset Matplotlib to the style of these pages before each script."""
    import matplotlib.pyplot as plt
    from cycler import cycler

    plt.rcdefaults()
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.9),
            "figure.constrained_layout.use": True,
            "savefig.dpi": 110,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.titleweight": "bold",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.edgecolor": "#8a8f98",
            "axes.prop_cycle": cycler(color=["#1f5fa8", "#c8502d", "#2f8f6b", "#8a5fb0", "#b08a1e"]),
            "grid.color": "#e4e7eb",
            "grid.linewidth": 0.8,
            "xtick.color": "#4a4f57",
            "ytick.color": "#4a4f57",
            "lines.linewidth": 2,
            "legend.frameon": False,
        }
    )
