/** Which resources the API server has that can be listed, watched and deleted: custom ones come and go. */
import { z } from 'zod'
import type { ApiClient } from './client.ts'
import type { Resource } from './resource.ts'

const Groups = z.object({
  groups: z.array(z.object({ preferredVersion: z.object({ groupVersion: z.string() }) })).default([]),
})
const Resources = z.object({
  resources: z
    .array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean(), verbs: z.array(z.string()) }))
    .default([]),
})

const NEEDED_VERBS = ['list', 'watch', 'delete'] as const

export async function discover(client: ApiClient): Promise<readonly Resource[]> {
  const { groups } = Groups.parse(await client.raw('/apis'))
  const versions = ['v1', ...groups.map(({ preferredVersion }) => preferredVersion.groupVersion)]
  const found = await Promise.all(versions.map(async (apiVersion) => resourcesOf(client, apiVersion)))
  return found.flat()
}

async function resourcesOf(client: ApiClient, apiVersion: string): Promise<readonly Resource[]> {
  const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const { resources } = Resources.parse(await client.raw(path))
  return resources
    .filter(({ name, verbs }) => !name.includes('/') && NEEDED_VERBS.every((verb) => verbs.includes(verb)))
    .map(({ name, kind, namespaced }) => ({ apiVersion, kind, plural: name, isNamespaced: namespaced }))
}
