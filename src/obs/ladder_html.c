/* The ladder as a page: the drawing at the left, the chosen message at the right. Nothing is loaded
 * from anywhere, and without scripts the links still work (:target). See ladder.h. */
#include "obs/ladder_impl.h"

#include <stdlib.h>

static const char page_css[] =
    "*{box-sizing:border-box}"
    "html{color-scheme:light dark}"
    "body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.5 Inter,system-ui,"
    "-apple-system,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',sans-serif;"
    "height:100vh;display:grid;grid-template-rows:auto 1fr;"
    "grid-template-columns:minmax(0,1fr) minmax(20rem,27rem)}"
    "header{grid-column:1/3;padding:18px 24px 14px;border-bottom:1px solid var(--line)}"
    "h1{font-size:19px;font-weight:600;margin:0 0 2px;letter-spacing:-.01em}"
    "header p{margin:0;color:var(--dim)}"
    "main{overflow:auto;min-width:0;padding-bottom:24px}"
    ".heads{position:sticky;top:0;background:var(--bg);z-index:1;width:max-content}"
    "aside{overflow:auto;border-left:1px solid var(--line);background:var(--panel);"
    "padding:20px 22px}"
    ".hint{color:var(--dim);margin:0 0 1em}"
    "kbd{font:11px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "border:1px solid var(--line);border-radius:4px;padding:1px 5px}"
    "article{display:none}article.on,.plain article:target{display:block}"
    "article h2{font-size:16px;font-weight:600;margin:0}"
    "article h2.req{color:var(--req)}article h2.ok{color:var(--ok)}"
    "article h2.chal{color:var(--chal)}article h2.fail{color:var(--fail)}"
    "article h2.dns{color:var(--dns)}"
    "article p{margin:2px 0 12px;color:var(--dim);font-size:12.5px}"
    "pre{font:12px/1.6 ui-monospace,'SF Mono','Cascadia Code',Menlo,Consolas,"
    "'DejaVu Sans Mono',monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:0}"
    "pre b{font-weight:600;color:var(--req)}"
    "pre strong{font-weight:600}"
    "@media(max-width:900px){body{display:block;height:auto}main{overflow-x:auto}"
    "aside{border-left:0;border-top:1px solid var(--line);position:sticky;bottom:0;"
    "max-height:45vh}}"
    "@media print{body{display:block;height:auto}aside{border:0}article{display:block;"
    "break-inside:avoid;margin-bottom:2em}.hint{display:none}}";

/* Pointing shows a message, clicking holds it; arrow keys walk. */
static const char script[] =
    "(function(){"
    "var rows=[].slice.call(document.querySelectorAll('a[id^=r]')),held=null,shown=null;"
    "document.documentElement.classList.remove('plain');"
    "function mark(r,on){if(!r)return;r.classList.toggle('on',on);"
    "var m=document.getElementById('m'+r.id.slice(1));if(m)m.classList.toggle('on',on)}"
    "function show(r){if(shown===r)return;mark(shown,false);shown=r;mark(shown,true)}"
    "function hold(r){held=r;show(r);r.scrollIntoView({block:'nearest'})}"
    "rows.forEach(function(r){"
    "r.addEventListener('mouseenter',function(){if(!held)show(r)});"
    "r.addEventListener('focus',function(){if(!held)show(r)});"
    "r.addEventListener('click',function(e){e.preventDefault();"
    "if(held===r){held=null}else{hold(r)}})});"
    "document.addEventListener('keydown',function(e){"
    "var d={ArrowDown:1,j:1,ArrowUp:-1,k:-1}[e.key];"
    "if(e.key==='Escape')held=null;"
    "if(!d||!rows.length)return;e.preventDefault();"
    "var i=shown?rows.indexOf(shown)+d:0;"
    "hold(rows[Math.max(0,Math.min(rows.length-1,i))])});"
    "var h=location.hash.match(/^#m(\\d+)$/),r=h&&document.getElementById('r'+h[1]);"
    "if(r)hold(r);else if(rows.length)show(rows[0]);"
    "})();";

/* One line of a message: the field's name, up to the colon, stands out. */
static void put_line(FILE *out, struct span line, bool first) {
    if (first) {
        fputs("<strong>", out);
        ladder_put_xml(out, line, true);
        fputs("</strong>\n", out);
        return;
    }
    size_t colon = 0;
    while (colon < line.n &&
           (line.p[colon] == '-' || line.p[colon] == ' ' || line.p[colon] == '_' ||
            line.p[colon] == '.' || (line.p[colon] >= '0' && line.p[colon] <= '9') ||
            ((line.p[colon] | 0x20) >= 'a' && (line.p[colon] | 0x20) <= 'z'))) {
        colon++;
    }
    if (colon > 0 && colon < line.n && line.p[colon] == ':') {
        fputs("<b>", out);
        ladder_put_xml(out, span_slice(line, 0, colon), true);
        fputs("</b>", out);
        line = span_after(line, colon);
    }
    ladder_put_xml(out, line, true);
    fputc('\n', out);
}

static void put_message(FILE *out, struct span text) {
    bool first = true;
    fputs("<pre>", out);
    while (text.n) {
        struct span line = span_cut(&text, '\n');
        if (line.n && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        put_line(out, line, first);
        first = false;
    }
    fputs("</pre>", out);
}

static void put_end(FILE *out, struct span name, const struct addr *a) {
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    ladder_put_xml(out, name, false);
    if (a->family) {
        addr_put(&b, a);
        fprintf(out, " (%.*s)", SPAN_ARG(buf_span(&b)));
    }
}

static void put_article(const struct ladder *l, size_t i, struct buf *scratch, FILE *out) {
    const struct ladder_entry *e = &l->entries[i];
    const struct ladder_arrow *a = &e->arrow;
    static const char *const transports[][2] = {{"UDP", "TCP"}, {"TCP", "TCP"}, {"DNS", "DNS"}};
    char text[32];
    fprintf(out, "<article id=\"m%zu\"><h2 class=\"%s\">", i, ladder_class(a));
    ladder_put_xml(out, a->label, false);
    fputs("</h2><p>", out);
    put_end(out, a->from, &e->from);
    fputs(" → ", out);
    put_end(out, a->to, &e->to);
    fprintf(out, " · %s · %zu bytes · ", transports[a->protocol % TRACE_PROTOCOLS][e->stream],
            a->bytes.n);
    ladder_put_xml(out, ladder_time(l, e, text, sizeof text), false);
    fputs("</p>", out);
    *scratch = buf_init(scratch->p, scratch->cap);
    ladder_describe_entry(l, e, scratch);
    put_message(out, buf_span(scratch));
    fputs("</article>\n", out);
}

static void put_head(const struct ladder *l, FILE *out) {
    char words[1024];
    struct buf b = buf_init(words, sizeof words);
    struct span title = l->title.n ? l->title : SPAN("Ladder");
    fputs("<!DOCTYPE html>\n<html lang=\"en\" class=\"plain\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"
          "style-src 'unsafe-inline';script-src 'unsafe-inline'\">\n<title>",
          out);
    ladder_put_xml(out, title, false);
    fprintf(out, "</title>\n<style>%s%s</style></head>\n<body>\n<header><h1>", ladder_css,
            page_css);
    ladder_put_xml(out, title, false);
    fputs("</h1><p>", out);
    ladder_summary(l, &b);
    ladder_put_xml(out, buf_span(&b), false);
    fputs("</p></header>\n", out);
}

void ladder_write_html(const struct ladder *l, FILE *out) {
    enum { SCRATCH = 256 * 1024 };
    struct ladder laid = *l; /* the columns are found anew */
    char *bytes = malloc(SCRATCH);
    if (!bytes) {
        return;
    }
    struct buf scratch = buf_init(bytes, SCRATCH);
    put_head(l, out);
    fputs("<main>\n", out);
    if (ladder_layout(&laid)) {
        struct ladder_geometry g = ladder_measure(&laid);
        fputs("<div class=\"heads\">", out);
        ladder_put_heads(&laid, &g, out);
        fputs("</div>\n", out);
        ladder_put_body(&laid, &g, 0, true, out);
    }
    fputs("</main>\n<aside><p class=\"hint\">Point at an arrow to read its message, click to hold "
          "it, walk with <kbd>↑</kbd> <kbd>↓</kbd>. Keys are masked.</p>\n",
          out);
    for (size_t i = 0; i < laid.n; i++) {
        if (!laid.entries[i].arrow.note.n) {
            put_article(&laid, i, &scratch, out);
        }
    }
    fprintf(out, "</aside>\n<script>%s</script>\n</body></html>\n", script);
    free(bytes);
}
