// Starts the parts that this report has.
const page = JSON.parse(document.getElementById("data").textContent);

if (page.curves.length) showCurves(document.getElementById("curve-controls"), document.getElementById("curves"), page.curves);
if (page.gallery.length) showGallery(document.getElementById("filters"), page.gallery);
if (page.rollouts) showRollouts(document.getElementById("rollouts"), embedded(page.rollouts));
