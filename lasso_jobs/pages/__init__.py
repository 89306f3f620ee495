"""HTML pages and the pictures in them: templates, one style sheet, SVG."""
