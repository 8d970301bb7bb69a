/** Flags that make a cluster of members, and that keep it small. */
import type { Flag } from './flag.ts'

const NO_DISCOVERY =
  'the member would not find its cluster: name the first members with --initial-cluster, or start it with ' +
  '--initial-cluster-state=wait'
const PART_OF_DISCOVERY = 'discovery does not exist here'

const discovery = (value: Flag['value'], fallback: string, help: string): Flag => ({
  value,
  fallback,
  help: `Of discovery: ${help}`,
  ignored: PART_OF_DISCOVERY,
})

export const CLUSTERING_FLAGS = {
  'initial-advertise-peer-urls': {
    value: 'urls',
    fallback: 'http://localhost:2380',
    help: 'Where the other members reach this one.',
  },
  'initial-cluster': {
    value: 'list',
    form: 'name=url,…',
    fallback: '${name}=${initial-advertise-peer-urls}',
    help: 'All members of a cluster that starts, this one among them.',
  },
  'initial-cluster-state': {
    value: 'choice',
    form: 'new|existing|wait',
    fallback: 'new',
    help:
      "'new' starts a cluster, 'existing' joins one. 'wait' serves the admin API only, until it is told there to " +
      'bootstrap or to join. All three matter only while the data directory is empty.',
  },
  'initial-cluster-token': {
    value: 'text',
    fallback: 'etcd-cluster',
    help: 'Tells clusters with equal addresses apart.',
  },
  'advertise-client-urls': {
    value: 'urls',
    fallback: 'http://localhost:2379',
    help: 'Where clients reach this member. Required together with --listen-client-urls.',
  },
  discovery: { value: 'text', fallback: '', help: 'URL of v2 discovery.', refused: NO_DISCOVERY },
  'discovery-token': { value: 'text', fallback: '', help: 'Token of v3 discovery.', refused: NO_DISCOVERY },
  'discovery-endpoints': { value: 'list', fallback: '', help: 'Endpoints of v3 discovery.', refused: NO_DISCOVERY },
  'discovery-srv': { value: 'text', fallback: '', help: 'Domain of discovery by DNS.', refused: NO_DISCOVERY },
  'discovery-srv-name': {
    value: 'text',
    fallback: '',
    help: 'Service name of discovery by DNS.',
    refused: NO_DISCOVERY,
  },
  'discovery-proxy': { value: 'text', fallback: '', help: 'HTTP proxy of v2 discovery.', refused: NO_DISCOVERY },
  'discovery-dial-timeout': discovery('duration', '2s', 'time to connect.'),
  'discovery-request-timeout': discovery('duration', '5s', 'time for a request.'),
  'discovery-keepalive-time': discovery('duration', '2s', 'time between pings.'),
  'discovery-keepalive-timeout': discovery('duration', '6s', 'time for the answer to a ping.'),
  'discovery-insecure-transport': discovery('switch', 'true', 'connect without TLS.'),
  'discovery-insecure-skip-tls-verify': discovery('switch', 'false', 'accept any certificate.'),
  'discovery-cert': discovery('path', '', 'certificate of this member.'),
  'discovery-key': discovery('path', '', 'key of the certificate.'),
  'discovery-cacert': discovery('path', '', 'CAs that are trusted.'),
  'discovery-user': discovery('text', '', 'user and password.'),
  'discovery-password': discovery('text', '', 'password.'),
  'discovery-fallback': {
    value: 'choice',
    form: 'exit|proxy',
    fallback: 'exit',
    help: 'What to do when discovery fails.',
    refused: 'there is no proxy to fall back to, nor is there in etcd',
  },
  'strict-reconfig-check': {
    value: 'switch',
    fallback: 'true',
    help:
      'Refuse membership changes that could cost the quorum. Without it those that come through etcd’s API are not checked: ' +
      'one that costs the quorum cannot be taken back.',
  },
  'pre-vote': {
    value: 'switch',
    fallback: 'true',
    help: 'Ask before standing for election, so that a member that was cut off does not disturb the others.',
    ignored:
      'members always ask before they stand for election; otherwise a member that was cut off would disturb the others',
  },
  'max-learners': { value: 'integer', fallback: '1', help: 'The most learners that the cluster may have at a time.' },
  'auto-compaction-mode': {
    value: 'choice',
    form: 'periodic|revision',
    fallback: 'periodic',
    help: 'What --auto-compaction-retention counts.',
  },
  'auto-compaction-retention': {
    value: 'text',
    fallback: '0',
    help: "History to keep: a time ('5' means hours) or a number of revisions; 0 keeps all.",
  },
  'v2-deprecation': {
    value: 'choice',
    form: 'write-only|write-only-skip-check|write-only-drop-data|gone',
    fallback: 'write-only',
    help: "How far etcd's v2 store is gone.",
    ignored: 'there never was a v2 store; etcd 3.7 ignores it as well',
  },
} as const satisfies Record<string, Flag>
