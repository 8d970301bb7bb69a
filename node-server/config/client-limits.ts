/** What clients may take of a member at most. None of etcd's: it has no such bounds. Pure. */
import type { Flag } from './flag.ts'

export const CLIENT_LIMIT_FLAGS = {
  'client-max-connections': {
    value: 'integer',
    fallback: '16384',
    help: 'Connections at once on one address; further ones are closed.',
  },
  'client-max-streams': {
    value: 'integer',
    fallback: '50000',
    help: 'Calls at once on all connections; further ones are refused, and clients try them again.',
  },
  'client-max-connection-request-bytes': {
    value: 'bytes',
    fallback: '268435456',
    help: 'Parts of requests that wait for the rest, on one connection; a call beyond it is cut.',
  },
  'client-max-request-bytes-held': {
    value: 'bytes',
    fallback: '1073741824',
    help: 'Parts of requests that wait for the rest, on all connections; a call beyond it is cut.',
  },
  'client-max-connection-response-bytes': {
    value: 'bytes',
    fallback: '268435456',
    help: 'Responses that a client does not read, on one connection; calls beyond it are refused as ResourceExhausted.',
  },
  'client-max-response-bytes-held': {
    value: 'bytes',
    fallback: '1073741824',
    help: 'Responses that clients do not read, on all connections; calls beyond it are refused as ResourceExhausted.',
  },
  'client-max-header-bytes': { value: 'bytes', fallback: '65536', help: 'The header of one request.' },
  'client-handshake-timeout': {
    value: 'duration',
    fallback: '10s',
    help: 'Time to the first bytes of a connection, and for a TLS handshake.',
  },
  'client-header-timeout': {
    value: 'duration',
    fallback: '20s',
    help: 'Time for the header of a request by HTTP/1.1; 0 for no limit.',
  },
  'client-request-timeout': {
    value: 'duration',
    fallback: '5m0s',
    help: 'Time for a whole request by HTTP/1.1; 0 for no limit.',
  },
  'client-idle-timeout': {
    value: 'duration',
    fallback: '2m0s',
    help: 'Time between two requests on a connection of HTTP/1.1; 0 for no limit.',
  },
} as const satisfies Record<string, Flag>
