"use strict";
// Numbers as text, by the rules of reports/number.go.
const kmonNumber = (() => {
  const threeDigits = (x) => x.toFixed(x < 9.995 ? 2 : x < 99.95 ? 1 : 0);

  function count(n) {
    return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
  }

  function duration(ns) {
    if (ns < 1000) return Math.round(ns) + " ns";
    let x = ns;
    for (const unit of ["µs", "ms", "s"]) {
      x /= 1000;
      if (x < 999.5) return threeDigits(x) + " " + unit;
    }
    const s = Math.floor(ns / 1e9 + 0.5);
    if (s < 2 * 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
    return count(Math.floor(s / 3600)) + " h " + Math.floor((s % 3600) / 60) + " min";
  }

  function bytes(n) {
    if (n < 1024) return Math.round(n) + " B";
    let x = n;
    for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
      x /= 1024;
      if (x < 1023.5) return threeDigits(x) + " " + unit;
    }
    return count(x) + " TiB";
  }

  // rate is a number of things a second.
  function rate(perS) {
    if (perS === 0) return "0/s";
    if (perS < 0.001) return "<0.001/s";
    if (perS > 1e15) return ">1e15/s";
    if (perS < 0.9995) return perS.toFixed(3) + "/s";
    return (perS < 999.5 ? threeDigits(perS) : count(perS)) + "/s";
  }

  // percent rounds down below 100% and up above 0%.
  function percent(ratio) {
    if (ratio === 0) return "0%";
    if (ratio < 0.0001) return "<0.01%";
    if (ratio >= 1) return (ratio * 100).toFixed(0) + "%";
    return Math.floor(ratio * 10000 + 1e-9) / 100 + "%";
  }

  // clock is the time of day in UTC of Unix milliseconds, to so many digits of
  // a second.
  function clock(ms, digits) {
    return new Date(ms).toISOString().slice(11, digits ? 20 + digits : 19);
  }

  return { count, duration, bytes, rate, percent, clock };
})();
