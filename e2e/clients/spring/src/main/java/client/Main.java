package client;

import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.ArrayList;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.security.authentication.AnonymousAuthenticationToken;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.security.oauth2.client.*;
import org.springframework.security.oauth2.client.endpoint.RestClientClientCredentialsTokenResponseClient;
import org.springframework.security.oauth2.client.registration.*;
import org.springframework.security.oauth2.client.web.client.OAuth2ClientHttpRequestInterceptor;
import org.springframework.security.oauth2.core.*;
import org.springframework.util.MultiValueMap;
import org.springframework.web.client.RestClient;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Calls an API, lets the token run out, and goes on: Spring Security's OAuth2 client. */
public class Main {
	public static void main(String[] args) {
		JsonNode job = new JsonMapper().readTree(args[0]);
		boolean given = job.hasNonNull("given");
		String secret = job.get("secret").asString();
		var me = new AnonymousAuthenticationToken("key", "me", AuthorityUtils.createAuthorityList("ROLE_USER"));

		var registration = ClientRegistration.withRegistrationId("api").tokenUri(job.get("token").asString())
				.clientId(job.get("id").asString()).clientSecret(secret).scope(job.get("scope").asString().split(" "))
				.clientAuthenticationMethod(secret.isEmpty() ? ClientAuthenticationMethod.NONE : ClientAuthenticationMethod.CLIENT_SECRET_BASIC)
				.authorizationGrantType(given ? AuthorizationGrantType.AUTHORIZATION_CODE : AuthorizationGrantType.CLIENT_CREDENTIALS)
				.authorizationUri("http://127.0.0.1:9/auth").redirectUri("http://127.0.0.1:9/callback").build();
		var registrations = new InMemoryClientRegistrationRepository(registration);
		var clients = new InMemoryOAuth2AuthorizedClientService(registrations);

		var more = MultiValueMap.fromSingleValue(new JsonMapper().convertValue(job.path("more"), Map.class));
		var credentials = new RestClientClientCredentialsTokenResponseClient();
		credentials.addParametersConverter(request -> more);
		Duration skew = Duration.ofSeconds(job.get("margin").asInt());
		var manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(registrations, clients);
		manager.setAuthorizedClientProvider(OAuth2AuthorizedClientProviderBuilder.builder()
				.clientCredentials(by -> by.accessTokenResponseClient(credentials).clockSkew(skew))
				.refreshToken(by -> by.clockSkew(skew)).build());
		if (given) {
			JsonNode had = job.get("given");
			Instant began = Instant.now().minusSeconds(60), end = Instant.ofEpochSecond(had.get("expires_at").asLong());
			clients.saveAuthorizedClient(new OAuth2AuthorizedClient(registration, me.getName(),
					new OAuth2AccessToken(OAuth2AccessToken.TokenType.BEARER, had.get("access_token").asString(), began, end),
					new OAuth2RefreshToken(had.get("refresh_token").asString(), began)), me);
		}

		var tokens = new OAuth2ClientHttpRequestInterceptor(manager);
		tokens.setClientRegistrationIdResolver(request -> "api");
		tokens.setPrincipalResolver(request -> me);
		tokens.setAuthorizationFailureHandler(OAuth2ClientHttpRequestInterceptor.authorizationFailureHandler(clients)); // forgets a token after a 401
		var held = new LinkedHashSet<String>();
		var http = RestClient.builder().requestFactory(new JdkClientHttpRequestFactory()).requestInterceptor(tokens)
				.requestInterceptor((request, body, next) -> {
					held.add(request.getHeaders().getFirst("Authorization"));
					return next.execute(request, body);
				}).defaultStatusHandler(HttpStatusCode::isError, (request, response) -> {}).build();

		var statuses = new ArrayList<Integer>();
		for (int call = 0; call < 3; call++) {
			if (call == 1) {
				RestClient.create().get().uri(URI.create(job.get("until").asString())).retrieve().toBodilessEntity();
			}
			statuses.add(http.get().uri(URI.create(job.get("api").asString())).exchange((request, response) -> response.getStatusCode().value()));
		}
		System.out.print(new JsonMapper().writeValueAsString(Map.of("statuses", statuses, "tokens", held.size())));
	}
}
