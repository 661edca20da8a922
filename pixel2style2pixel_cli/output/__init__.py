"""What a command says: lines for people, JSON Lines, progress; and the streams it says it on."""

from pixel2style2pixel_cli.output.output import Output as Output
from pixel2style2pixel_cli.output.output import ReportOptions as ReportOptions
from pixel2style2pixel_cli.output.streams import ReaderGone as ReaderGone
