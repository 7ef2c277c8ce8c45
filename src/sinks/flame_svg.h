/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The constant parts of a flame graph: its style, and the script that zooms and searches. */
#ifndef MB_SINKS_FLAME_SVG_H
#define MB_SINKS_FLAME_SVG_H

/* clang-format off */
#define MB_FLAME_STYLE \
	"<defs><linearGradient id=\"back\" y1=\"0\" y2=\"1\" x1=\"0\" x2=\"0\">" \
	"<stop stop-color=\"#eeeeee\" offset=\"5%\"/><stop stop-color=\"#eeeeb0\" offset=\"95%\"/>" \
	"</linearGradient></defs>\n" \
	"<style>\n" \
	"text { font: 12px monospace; fill: #000; }\n" \
	"#heading { font: 17px sans-serif; text-anchor: middle; }\n" \
	"#reset { cursor: pointer; visibility: hidden; }\n" \
	"#matched { text-anchor: end; }\n" \
	".f { cursor: pointer; }\n" \
	".f rect { stroke: #f4f4d0; stroke-width: 0.4; }\n" \
	".f text { pointer-events: none; }\n" \
	".f:hover rect { stroke: #000; stroke-width: 0.5; }\n" \
	".outer { opacity: 0.5; }\n" \
	".match rect { fill: #e600e6; }\n" \
	"</style>\n"

/*
 * The script identifies frames by position: the callees of a frame are above it, within its edges. Names are used as
 * text only, never as markup. left, full and char are PAD, WIDTH minus both PADs, and CHAR_100 of flame.c.
 */
#define MB_FLAME_SCRIPT \
	"<script><![CDATA[\n" \
	"'use strict';\n" \
	"const left = 10, full = 1180, char = 7.23, eps = 0.02;\n" \
	"const id = name => document.getElementById(name);\n" \
	"const frames = Array.from(document.querySelectorAll('.f'), g => {\n" \
	"	const rect = g.querySelector('rect'), get = name => parseFloat(rect.getAttribute(name));\n" \
	"	const title = g.querySelector('title').textContent;\n" \
	"	return { g, rect, text: g.querySelector('text'), title, name: title.replace(/ \\([^(]*\\)$/, ''),\n" \
	"		x: get('x'), y: get('y'), w: get('width'), end: get('x') + get('width') };\n" \
	"});\n" \
	"function fit(name, width) {\n" \
	"	const fits = Math.floor((width - 6) / char), chars = Array.from(name);\n" \
	"	return fits < 3 ? '' : chars.length <= fits ? name : chars.slice(0, fits - 2).join('') + '..';\n" \
	"}\n" \
	"function zoom(to) {\n" \
	"	for (const f of frames) {\n" \
	"		const inner = f.y <= to.y && f.x >= to.x - eps && f.end <= to.end + eps;\n" \
	"		const outer = f.y > to.y && f.x <= to.x + eps && f.end >= to.end - eps;\n" \
	"		const x = inner ? left + (f.x - to.x) / to.w * full : left;\n" \
	"		const w = inner ? f.w / to.w * full : full;\n" \
	"		f.g.style.display = inner || outer ? '' : 'none';\n" \
	"		f.g.classList.toggle('outer', outer);\n" \
	"		f.rect.setAttribute('x', x);\n" \
	"		f.rect.setAttribute('width', w);\n" \
	"		f.text.setAttribute('x', x + 3);\n" \
	"		f.text.textContent = fit(f.name, w);\n" \
	"	}\n" \
	"	id('reset').style.visibility = to.w < full - eps ? 'visible' : 'hidden';\n" \
	"}\n" \
	"function search(what) {\n" \
	"	let pattern, sum = 0, end = 0;\n" \
	"	try {\n" \
	"		pattern = new RegExp(what, 'i');\n" \
	"	} catch (e) {\n" \
	"		pattern = new RegExp(what.replace(/[^\\w ]/g, '\\\\$&'), 'i');\n" \
	"	}\n" \
	"	const found = frames.filter(f => what && pattern.test(f.name));\n" \
	"	frames.forEach(f => f.g.classList.remove('match'));\n" \
	"	for (const f of found.sort((a, b) => a.x - b.x || b.w - a.w)) {\n" \
	"		f.g.classList.add('match');\n" \
	"		sum += Math.max(0, f.end - Math.max(end, f.x));\n" \
	"		end = Math.max(end, f.end);\n" \
	"	}\n" \
	"	id('matched').textContent = what ? 'Matched: ' + (sum / full * 100).toFixed(1) + '%' : '';\n" \
	"}\n" \
	"if (frames.length) {\n" \
	"	const root = frames[frames.length - 1];\n" \
	"	const place = document.createElementNS('http://www.w3.org/2000/svg', 'foreignObject');\n" \
	"	const box = document.createElementNS('http://www.w3.org/1999/xhtml', 'input');\n" \
	"	for (const [name, value] of Object.entries({ x: 990, y: 32, width: 200, height: 26 }))\n" \
	"		place.setAttribute(name, value);\n" \
	"	box.setAttribute('placeholder', 'Search (Ctrl-F)');\n" \
	"	box.setAttribute('style', 'box-sizing: border-box; width: 100%; font: 12px monospace');\n" \
	"	box.addEventListener('input', () => search(box.value));\n" \
	"	place.appendChild(box);\n" \
	"	document.documentElement.appendChild(place);\n" \
	"	for (const f of frames) {\n" \
	"		f.g.addEventListener('click', () => zoom(f));\n" \
	"		f.g.addEventListener('mouseover', () => { id('details').textContent = fit(f.title, 1000); });\n" \
	"		f.g.addEventListener('mouseout', () => { id('details').textContent = ''; });\n" \
	"	}\n" \
	"	id('reset').addEventListener('click', () => zoom(root));\n" \
	"	window.addEventListener('keydown', e => {\n" \
	"		if (e.key === 'f' && (e.ctrlKey || e.metaKey)) {\n" \
	"			e.preventDefault();\n" \
	"			box.focus();\n" \
	"		} else if (e.key === 'Escape') {\n" \
	"			box.value = '';\n" \
	"			search('');\n" \
	"			zoom(root);\n" \
	"		}\n" \
	"	});\n" \
	"}\n" \
	"]]></script>\n"
/* clang-format on */

#endif
