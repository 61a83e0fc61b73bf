"use strict";
// Which slices the viewer's page loads before they are looked at, and what of them it keeps.

const AHEAD = 8;
const MOST_AHEAD = 32;
const BEHIND = 3;
const PAGE = 10;
const PAGES = 3;
const MOST_STEP = 8;
const RESTED_MS = 400; // after so long without a step the hand has stopped

// The newest stay, up to a limit; who is not wanted any more is called off.
class Loads {
  constructor(load, weigh, most) {
    this.load = load; this.weigh = weigh; this.most = most;
    this.there = new Map(); this.coming = new Map(); this.bytes = 0;
  }

  get(key) {
    const found = this.there.get(key);
    if (found !== undefined) { this.there.delete(key); this.there.set(key, found); }
    return found;
  }

  ask(key) {
    if (this.get(key) !== undefined) return Promise.resolve(this.get(key));
    const known = this.coming.get(key);
    if (known) return known.promise;
    const control = new AbortController();
    const promise = this.load(key, control.signal).then((made) => { this.keep(key, made); return made; })
      .finally(() => { if (this.coming.get(key)?.control === control) this.coming.delete(key); });
    promise.catch(() => {});
    this.coming.set(key, { promise, control });
    return promise;
  }

  keep(key, made) {
    this.there.set(key, made);
    this.bytes += this.weigh(made);
    for (const [oldest, one] of this.there) {
      if (this.bytes <= this.most || oldest === key) break;
      this.there.delete(oldest);
      this.bytes -= this.weigh(one);
      if (one && one.close) one.close();
    }
  }

  // How many like those that are there are kept, with some left over.
  fits() {
    return this.bytes ? Math.max(1, Math.floor((0.75 * this.most * this.there.size) / this.bytes)) : Infinity;
  }

  hasRoom() { return this.bytes < 0.75 * this.most; }

  // Whoever comes back to a slice at once asks for it anew: what was called off does not come.
  only(wanted) {
    for (const key of this.coming.keys()) if (!wanted.has(key)) this.off(key);
  }

  off(key) {
    const one = this.coming.get(key);
    this.coming.delete(key);
    if (one) one.control.abort();
  }
}

// How the hand goes through the slices, and which of them are wanted next.
class Travel {
  constructor(count) {
    this.count = count; this.direction = 1; this.stride = 1;
    this.speed = 0; this.at = 0; // slices a second, and when the last step was
    this.takes = 0.05; // seconds until a slice is loaded
  }

  move(from, to, now) {
    const passed = now - this.at;
    const speed = (Math.abs(to - from) * 1000) / Math.max(passed, 16);
    this.speed = passed > RESTED_MS ? 0 : (this.speed + speed) / 2;
    this.direction = to > from ? 1 : -1;
    this.stride = Math.abs(to - from);
    this.at = now;
  }

  loaded(seconds) { this.takes = 0.8 * this.takes + 0.2 * seconds; }

  // In the order in which they are loaded: where the next steps lead, then what lies between; nothing
  // is called off that lies so near. Of what a hand passes faster than it is loaded, each nth comes first.
  near(index) {
    const ahead = Math.min(Math.round(AHEAD + this.speed / 2), MOST_AHEAD);
    const behind = BEHIND + Math.round(this.speed / 10);
    const found = [index];
    const on = (step) => found.push(index + step * this.direction);
    if (this.stride > 1) for (let time = 1; time <= PAGES; time += 1) on(time * this.stride);
    const each = Math.min(Math.ceil(this.speed * this.takes), MOST_STEP);
    for (let step = 1; step <= ahead && each > 1; step += 1) if ((index + step * this.direction) % each === 0) on(step);
    for (let step = 1; step <= ahead; step += 1) { on(step); if (step <= BEHIND && !this.speed) on(-step); }
    for (let step = 1; step <= behind; step += 1) on(-step);
    for (let time = 1; time <= PAGES; time += 1) { on(time * PAGE); on(-time * PAGE); }
    return this.inside(found);
  }

  // While the hand rests: each tenth of all, so that there is a slice near any other.
  far(index) {
    const found = [];
    for (let one = 0; one < this.count; one += PAGE) found.push(one);
    return found.sort((one, other) => Math.abs(one - index) - Math.abs(other - index));
  }

  inside(found) {
    return [...new Set(found)].filter((one) => one >= 0 && one < this.count);
  }
}
