// A store for oidc-provider that forgets nothing by itself: the one that comes
// with it forgets beyond 1000 entries.
const seconds = () => Math.floor(Date.now() / 1000);

// newStore makes one. With a grace, a refresh token is usable again for so many
// seconds after its use.
export function newStore(grace = 0) {
  const entries = new Map();

  function put(model, id, payload) {
    entries.set(`${model}:${id}`, payload);
  }

  // forget drops all that is known of these models.
  function forget(...models) {
    for (const key of entries.keys()) {
      if (models.includes(key.split(':')[0])) {
        entries.delete(key);
      }
    }
  }

  class MapAdapter {
    constructor(model) {
      this.model = model;
    }

    async upsert(id, payload) {
      put(this.model, id, payload);
    }

    async find(id) {
      const found = entries.get(`${this.model}:${id}`);
      if (found?.consumed && this.model === 'RefreshToken' && seconds() - found.consumed < grace) {
        return { ...found, consumed: undefined };
      }
      return found;
    }

    async consume(id) {
      entries.get(`${this.model}:${id}`).consumed = seconds();
    }

    async destroy(id) {
      entries.delete(`${this.model}:${id}`);
    }

    async findBy(name, value) {
      for (const [key, payload] of entries) {
        if (key.startsWith(`${this.model}:`) && payload[name] === value) {
          return payload;
        }
      }
      return undefined;
    }

    async findByUid(uid) {
      return this.findBy('uid', uid);
    }

    async findByUserCode(userCode) {
      return this.findBy('userCode', userCode);
    }

    async revokeByGrantId(grantId) {
      for (const [key, payload] of entries) {
        if (key.startsWith(`${this.model}:`) && payload.grantId === grantId) {
          entries.delete(key);
        }
      }
    }
  }

  return { MapAdapter, put, forget };
}
