package issuer;

import static org.springframework.http.MediaType.TEXT_HTML;
import static org.springframework.security.config.Customizer.withDefaults;

import java.util.List;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.LoginUrlAuthenticationEntryPoint;
import org.springframework.security.web.util.matcher.MediaTypeRequestMatcher;

/** A server that has no more than its starter gives it, and what docs/issuers/spring.md says. */
@SpringBootApplication
public class Main {
	public static void main(String[] args) {
		SpringApplication.run(Main.class, args);
	}

	// With OpenID Connect, as Spring Boot has it, and with the device flow.
	@Bean
	@Order(1)
	SecurityFilterChain authorizationServer(HttpSecurity http) throws Exception {
		http.oauth2AuthorizationServer(server -> {
			http.securityMatcher(server.getEndpointsMatcher());
			server.oidc(withDefaults());
			server.deviceAuthorizationEndpoint(withDefaults());
			server.deviceVerificationEndpoint(withDefaults());
		});
		http.authorizeHttpRequests(requests -> requests.anyRequest().authenticated());
		http.exceptionHandling(exceptions -> exceptions.defaultAuthenticationEntryPointFor(
				new LoginUrlAuthenticationEntryPoint("/login"), new MediaTypeRequestMatcher(TEXT_HTML)));
		return http.build();
	}

	@Bean
	@Order(2)
	SecurityFilterChain people(HttpSecurity http) throws Exception {
		http.authorizeHttpRequests(requests -> requests.anyRequest().authenticated());
		http.formLogin(withDefaults());
		return http.build();
	}

	// Every name is a user's, so that each test has users of its own.
	@Bean
	UserDetailsService users() {
		return name -> User.withUsername(name).password("{noop}wonder").roles("staff").build();
	}

	// As docs/issuers/spring.md has it.
	@Bean
	OAuth2TokenCustomizer<JwtEncodingContext> claims() {
		return token -> {
			if (OAuth2TokenType.ACCESS_TOKEN.equals(token.getTokenType())) {
				token.getClaims().audience(List.of("api://orders"));
				token.getClaims().claim("roles", token.getPrincipal().getAuthorities().stream()
						.map(GrantedAuthority::getAuthority).toList());
			}
		};
	}
}
