/** Flags of TLS, of who may connect, and of authentication. */
import type { Flag } from './flag.ts'

export const SECURITY_FLAGS = {
  'cert-file': { value: 'path', fallback: '', help: 'Certificate shown to clients (PEM).' },
  'key-file': { value: 'path', fallback: '', help: 'Its key (PEM).' },
  'client-cert-file': { value: 'path', fallback: '', help: 'Certificate with which this member calls itself.' },
  'client-key-file': { value: 'path', fallback: '', help: 'Its key.' },
  'client-cert-auth': { value: 'switch', fallback: 'false', help: 'Clients must show a certificate of a trusted CA.' },
  'client-cert-optional': {
    value: 'switch',
    fallback: 'false',
    help: 'Clients may show a certificate, which must then be of the CA in --trusted-ca-file; without this flag that file alone requires one.',
  },
  'client-crl-file': { value: 'path', fallback: '', help: 'Revocation list of client certificates (DER).' },
  'client-cert-allowed-hostname': {
    value: 'list',
    fallback: '',
    help: 'Host names, one of which a client’s certificate must have.',
  },
  'trusted-ca-file': { value: 'path', fallback: '', help: 'CAs of the clients’ certificates (PEM).' },
  'auto-tls': {
    value: 'switch',
    fallback: 'false',
    help: 'Make a self-signed certificate for clients when none is given.',
  },
  'peer-cert-file': { value: 'path', fallback: '', help: 'Certificate shown to other members (PEM).' },
  'peer-key-file': { value: 'path', fallback: '', help: 'Its key (PEM).' },
  'peer-client-cert-file': {
    value: 'path',
    fallback: '',
    help: 'Certificate for connecting to other members, if it differs.',
  },
  'peer-client-key-file': { value: 'path', fallback: '', help: 'Its key.' },
  'peer-client-cert-auth': {
    value: 'switch',
    fallback: 'false',
    help: 'Members must show a certificate of a trusted CA.',
  },
  'peer-trusted-ca-file': { value: 'path', fallback: '', help: 'CAs of the members’ certificates (PEM).' },
  'peer-crl-file': { value: 'path', fallback: '', help: 'Revocation list of the members’ certificates (DER).' },
  'peer-cert-allowed-cn': {
    value: 'list',
    fallback: '',
    help: 'Common names, one of which a member’s certificate must have.',
  },
  'peer-cert-allowed-hostname': {
    value: 'list',
    fallback: '',
    help: 'Host names, one of which a member’s certificate must have.',
  },
  'peer-auto-tls': {
    value: 'switch',
    fallback: 'false',
    help: 'Make a self-signed certificate for members when none is given.',
  },
  'peer-skip-client-san-verification': {
    value: 'switch',
    fallback: 'false',
    help: 'Do not compare a connecting member’s address, nor its peer URLs, with its certificate.',
  },
  'peer-secret-file': {
    value: 'path',
    fallback: '',
    help: 'File with a secret that all members have, at least 16 bytes; of several, one a line, any counts. Members show each other that they know it, which is for peers without TLS.',
  },
  'peer-secret-mode': {
    value: 'choice',
    form: 'offer|require',
    fallback: 'require',
    help: "'offer' takes members as well that do not show the secret: for a cluster that runs, until all have it.",
  },
  'self-signed-cert-validity': { value: 'years', fallback: '1', help: 'How long a self-signed certificate is valid.' },
  'cipher-suites': {
    value: 'list',
    fallback: '',
    help: 'Cipher suites up to TLS 1.2, by Go’s names; empty for the defaults.',
  },
  'tls-min-version': {
    value: 'choice',
    form: 'TLS1.2|TLS1.3',
    fallback: 'TLS1.2',
    help: 'The oldest TLS that is spoken.',
  },
  'tls-max-version': {
    value: 'choice',
    form: 'TLS1.2|TLS1.3',
    fallback: '',
    help: 'The newest version of TLS that is accepted; empty for the newest there is.',
  },
  cors: { value: 'list', fallback: '*', help: 'Origins whose web pages may call over HTTP; empty or * for all.' },
  'host-whitelist': {
    value: 'list',
    fallback: '*',
    help: 'Host names that requests over HTTP without TLS may use; empty or * for all.',
  },
  'auth-token': {
    value: 'text',
    fallback: 'simple',
    help: 'Kind of the tokens of users: simple, or jwt,sign-method=…,pub-key=PATH,priv-key=PATH,ttl=DURATION.',
  },
  'bcrypt-cost': { value: 'integer', fallback: '10', help: 'Cost of hashing a password, from 4 to 31.' },
  'auth-token-ttl': { value: 'seconds', fallback: '300', help: 'For how long a simple token may be unused.' },
} as const satisfies Record<string, Flag>
