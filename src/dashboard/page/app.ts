import { Announcements } from './announcements.ts';
import { drawCharts } from './chart-set.ts';
import { History } from './history.ts';
import { Live } from './live.ts';
import { serveLookups } from './lookup.ts';
import { serveOperators } from './admin-actions.ts';
import { showFigures, showPulse } from './view.ts';

const history = new History();
const announcements = new Announcements();
const showCharts = drawCharts();

serveLookups();
serveOperators();
new Live({
  onTick: (tick) => {
    const sample = history.push(tick);
    showFigures(tick, sample);
    showCharts(history.samples);
    announcements.hear(tick);
  },
  onPulse: (live, silentMs) => {
    showPulse(live, silentMs);
    announcements.pulse(live, silentMs);
  },
}).start();
