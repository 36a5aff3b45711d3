#include "server/report/html_page.h"

#include "absl/strings/str_cat.h"

namespace octet::report {
namespace {

// Colours that hold in light and dark.
constexpr char kStyle[] = R"(
:root { color-scheme: light dark; --line: #8886; --dot: #2f6fb5; --mark: #c2571a; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1300px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; overflow-wrap: anywhere; }
dt { opacity: .7; }
dd { margin: 0; }
figure { margin: 1.5rem 0; max-width: 760px; overflow-x: auto; }
figure svg { min-width: 560px; }
figcaption, .notes { font-size: .9rem; opacity: .8; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; paint-order: stroke; stroke: Canvas; stroke-width: 3; }
svg .grid { stroke: var(--line); stroke-width: .5; }
svg .interval { stroke: currentColor; stroke-width: 1.5; }
svg circle { fill: var(--dot); fill-opacity: .55; stroke: var(--dot); }
)";

std::string Row(const std::vector<std::string>& cells, absl::string_view first_tag, absl::string_view tag) {
  std::string row = "<tr>";
  for (size_t i = 0; i < cells.size(); ++i) {
    const absl::string_view t = i == 0 ? first_tag : tag;
    absl::StrAppend(&row, "<", t, i == 0 && t != tag ? " scope=\"row\"" : "", ">", EscapeHtml(cells[i]), "</", t, ">");
  }
  return row + "</tr>\n";
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
          escaped += "\xEF\xBF\xBD";
        } else {
          escaped.push_back(c);
        }
    }
  }
  return escaped;
}

std::string HtmlPage(absl::string_view title, absl::string_view body, absl::string_view more_style) {
  return absl::StrCat("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
                      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>", EscapeHtml(title),
                      "</title>\n<style>", kStyle, more_style, "</style>\n</head>\n<body>\n<h1>", EscapeHtml(title),
                      "</h1>\n", body, "</body>\n</html>\n");
}

std::string HtmlTable(const TextTable& table) {
  std::string out =
      absl::StrCat("<div class=\"scroll\">\n<table>\n<thead>\n", Row(table.header, "th", "th"), "</thead>\n<tbody>\n");
  for (const std::vector<std::string>& row : table.rows) out += Row(row, "th", "td");
  out += "</tbody>\n</table>\n</div>\n";
  for (const std::string& note : table.notes) {
    absl::StrAppend(&out, "<p class=\"notes\">", EscapeHtml(note), "</p>\n");
  }
  return out;
}

std::string HtmlFacts(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string out = "<dl>\n";
  for (const auto& [label, value] : facts) {
    absl::StrAppend(&out, "<dt>", EscapeHtml(label), "</dt><dd>", EscapeHtml(value), "</dd>\n");
  }
  return out + "</dl>\n";
}

std::string HtmlFigure(absl::string_view drawing, absl::string_view caption) {
  return absl::StrCat("<figure>\n", drawing, "<figcaption>", EscapeHtml(caption), "</figcaption>\n</figure>\n");
}

}  // namespace octet::report
