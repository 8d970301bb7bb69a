/** spec.auth: who may do what, as declared. Pure. */
import { z } from 'zod'

/** etcd's: it may do everything, and authentication is not turned on without it. */
export const ROOT = 'root'

const MAX_KEY_LENGTH = 1024
const name = z
  .string()
  .min(1)
  .max(253)
  .refine(
    (text) => text !== ROOT,
    `'${ROOT}' is etcd's own: auth.rootSecretRef has its password, and it may do everything`,
  )
const key = z.string().min(1).max(MAX_KEY_LENGTH)

const SecretRef = z.object({
  name: z.string().min(1).max(253),
  key: z.string().min(1).max(253).default('password'),
})

const Permission = z
  .object({
    key: key.optional(),
    prefix: z.string().max(MAX_KEY_LENGTH).optional(),
    range: z.object({ from: key, to: key.optional() }).optional(),
    access: z.enum(['Read', 'Write', 'ReadWrite']),
  })
  .refine(
    (given) => [given.key, given.prefix, given.range].filter((one) => one !== undefined).length === 1,
    'must have one of key, prefix and range',
  )

const Role = z.object({ name, permissions: z.array(Permission).max(64).default([]) })

const User = z
  .object({
    name,
    passwordSecretRef: SecretRef.optional(),
    certificateOnly: z.boolean().default(false),
    roles: z.array(z.string().min(1).max(253)).max(32).default([]),
  })
  .refine(
    ({ passwordSecretRef, certificateOnly }) => (passwordSecretRef === undefined) === certificateOnly,
    'must have either passwordSecretRef or certificateOnly: true',
  )

const isNamedOnce = (all: readonly { readonly name: string }[]): boolean =>
  new Set(all.map((one) => one.name)).size === all.length

export const Auth = z
  .object({
    enabled: z.boolean().default(false),
    rootSecretRef: SecretRef.optional(),
    allowWithoutTLS: z.boolean().default(false),
    roles: z.array(Role).max(64).refine(isNamedOnce, 'names a role twice').default([]),
    users: z.array(User).max(64).refine(isNamedOnce, 'names a user twice').default([]),
  })
  .refine(({ enabled, rootSecretRef }) => !enabled || rootSecretRef !== undefined, {
    path: ['rootSecretRef'],
    message: 'must name a Secret with the password of root where enabled is true',
  })

export type Auth = z.output<typeof Auth>
export type SecretRef = z.output<typeof SecretRef>
export type DeclaredPermission = z.output<typeof Permission>
export type DeclaredUser = Auth['users'][number]
