import { Announcements } from './live/announcements.ts';
import { drawCharts } from './live/chart-set.ts';
import { History } from './live/history.ts';
import { SnapshotStream } from './live/snapshot-stream.ts';
import { bindKeyLookup } from './keys/lookup.ts';
import { bindAdminActions } from './keys/admin-actions.ts';
import { bindHotKeys } from './keys/hot-keys.ts';
import { showConnection, showMetrics } from './live/view.ts';

const history = new History();
const announcements = new Announcements();
const showCharts = drawCharts();

bindKeyLookup();
bindAdminActions();
bindHotKeys();
new SnapshotStream({
  onSnapshot: (snapshot) => {
    const sample = history.push(snapshot);
    showMetrics(snapshot, sample);
    showCharts(history.samples);
    announcements.onSnapshot(snapshot);
  },
  onConnection: (live, silentMs) => {
    showConnection(live, silentMs);
    announcements.onConnection(live, silentMs);
  },
}).start();
