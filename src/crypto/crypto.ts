/**
 * The face of encryption: objects sealed by keys of their own, data keys wrapped to age recipients.
 * docs/repository-format.md has the sealed form byte by byte, docs/encryption.md what it is for.
 * And signatures: docs/signing.md.
 *
 * @module
 */
export { checkRecipients, generateIdentity, unwrapKey, wrapKey } from "./age_keys.ts";
export { newDataKey, nextSecret } from "./data_key.ts";
export type { DataKey, KeyStep } from "./data_key.ts";
export type { HeldObject } from "./held_object.ts";
export { KeyRing } from "./key_ring.ts";
export { ObjectOpener } from "./object_opener.ts";
export { ObjectSealer } from "./object_sealer.ts";
export { publicText, readSealHeader, SEAL_SCHEME } from "./seal_format.ts";
export type { SealHeader } from "./seal_format.ts";
export { generateSigningKey, SigningKey } from "./signing_key.ts";
export { TrustedKeys } from "./trusted_keys.ts";
