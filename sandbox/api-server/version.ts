/** What clients are told that they talk to: the API of that Kubernetes, and that it is not Kubernetes. */
export const VERSION = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.2-raftkv-sandbox',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none: TypeScript on Node',
  compiler: 'none',
  platform: 'sandbox/stand-in',
}
