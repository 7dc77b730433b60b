/**
 * Returns a configuration of nginx: one worker, no access log, endless keep-alive.
 *
 * @param folder where nginx keeps its files.
 * @param http further directives of the block `http`.
 */
export function nginxConfiguration(folder: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  // The folder is of this user, while workers of a master that runs as root have another user.
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  return `${user}daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  ${temporary.join('\n  ')}
  ${http.trim()}
}
`;
}
