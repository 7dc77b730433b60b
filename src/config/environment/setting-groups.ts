/** Groups of settings for people, and how the names in each of them start. */
export const SETTING_GROUPS: Readonly<Record<string, RegExp>> = {
  HTTP: /^HTTP_/,
  'Other protocols': /^(?:RESP|UPSTASH)_/,
  Redis: /^REDIS_/,
  Cache: /^CACHE_/,
  'Threads and limits': /^PROXY_/,
  'Who may read, and what': /^(?:ACCESS|ADMIN|KEY)_/,
  Operation: /^(?:NODE|SHUTDOWN|LOG)_/,
};
