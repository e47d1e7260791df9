"""The TDS 7.4 wire format in both roles ([MS-TDS])."""
